//! Every command, with the examples and exit codes of its help.

use super::{
    CheckSettings, ExplainSettings, PlanSettings, RbacSettings, ReadySettings, RunSettings,
    TestSettings,
};
use clap::Subcommand;

/// What stands under both helps of `ordain rbac`.
macro_rules! rbac_examples {
    () => {
        "Examples:\n  \
         # a ClusterRole, and a Role in the daemon's own namespace\n  \
         ordain rbac --rules rules | kubectl apply -f -\n  \
         # Roles in these namespaces alone\n  \
         ordain rbac --rules rules --namespace shop --namespace bar\n  \
         # what does the current identity lack, and for which rule?\n  \
         ordain rbac --rules rules --check\n  \
         # kinds of the CustomResourceDefinitions in `crds` are known too\n  \
         ordain rbac --rules rules --manifests crds\n\n\
         Exit code: 0 printed, or nothing is missing; 1 problems in rules, or rights are missing; 3 the server did not answer; \
         2 wrong usage."
    };
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow rules and cluster, and reconcile until told to stop
    #[command(after_help = "Examples:\n  \
        # the daemon, on the cluster of the current kubeconfig\n  \
        ordain run --rules rules\n  \
        # the same, but nothing is changed\n  \
        ordain run --rules rules --audit-only\n  \
        # one full pass, for cron jobs and pipelines\n  \
        ordain run --once --rules rules\n  \
        # the cluster is a folder of YAML files; edits of them are followed\n  \
        ordain run --rules rules --manifests cluster\n  \
        # one pass over that folder; what comes of it is written to another\n  \
        ordain run --once --rules rules --manifests cluster --write-manifests result\n\n\
        Exit code: 0 after a clean stop or when all is done; with --once 3 if a request was refused, a limit or breaker stopped \
        something, or an error kept a test undecided; 2 wrong usage.")]
    Run(Box<RunSettings>),
    /// Compile rule files without any cluster
    #[command(after_help = "Examples:\n  \
        ordain check rules\n  \
        # kinds of the CustomResourceDefinitions in `crds` are known too\n  \
        ordain check rules --manifests crds\n  \
        cat rule.yaml | ordain check -\n\n\
        Exit code: 0 good, 1 problems, 2 wrong usage.")]
    Check(CheckSettings),
    /// Show what Enforce would do now; write nothing
    #[command(after_help = "Examples:\n  \
        # on the cluster of the current kubeconfig\n  \
        ordain plan --rules rules\n  \
        # on a folder of YAML files\n  \
        ordain plan --rules rules --manifests cluster\n  \
        # some of the rules, as JSON\n  \
        ordain plan --rules rules --manifests cluster --rule 'replicas-*' -o json\n  \
        # as it would be on another day\n  \
        ordain plan --rules rules --manifests cluster --now 2026-03-01T00:00:00Z\n\n\
        Exit code: 0 nothing to change, 1 changes, 3 could not tell, 2 wrong usage.")]
    Plan(PlanSettings),
    /// Show what a rule makes of an object: each clause, the value it saw, and what follows
    #[command(after_help = "Examples:\n  \
        # on the cluster of the current kubeconfig, with the rules in `rules`\n  \
        ordain explain replicas-floor Deployment/shop/web\n  \
        # on a folder of YAML files\n  \
        ordain explain replicas-floor Deployment/shop/web --manifests cluster\n  \
        # as a running daemon sees it now: its limits, breakers and freeze included\n  \
        ordain explain replicas-floor Deployment/shop/web --from 127.0.0.1:9464\n\n\
        OBJECT is KIND/NAMESPACE/NAME, or KIND/NAME of a cluster-scoped one, with GROUP/VERSION/ before it where that is needed to be clear.\n\
        Exit code: 0 would act, 1 would not, 3 could not tell, 2 wrong usage.")]
    Explain(ExplainSettings),
    /// Print the least rights that the rules need, as Roles and bindings
    #[command(
        after_help = rbac_examples!(),
        after_long_help = concat!(
            "Rules in Audit get what they would need in Enforce: going from one to the other is an edit of a rule, and should not need a \
             cluster administrator. `--audit-only` grants no verb that writes objects; rules that are Off get nothing. Each line says \
             which rules need it.\n\n\
             Plural names come from the built-in kinds, from CustomResourceDefinitions among --manifests, or, if --kubeconfig or \
             --context is given, or with --check, from the cluster.\n\n",
            rbac_examples!()
        )
    )]
    Rbac(RbacSettings),
    /// Run every RuleTest found
    #[command(after_help = "Examples:\n  \
        ordain test rules\n  \
        # one file, as JSON\n  \
        ordain test rules/jobs/tests/finished-jobs.yaml -o json\n\n\
        Exit code: 0 all pass, 1 some fail, 2 wrong usage.")]
    Test(TestSettings),
    /// Print the JSON Schema of rule and test files, for editors
    #[command(after_help = "Examples:\n  \
        ordain schema > ordain.schema.json\n\n\
        The first line of a rule file, for editors with the YAML language server:\n  \
        # yaml-language-server: $schema=ordain.schema.json\n\n\
        Exit code: 0 printed, 2 wrong usage.")]
    Schema,
    /// Ask a running daemon whether it is ready
    #[command(after_help = "Examples:\n  \
        # the daemon on this machine\n  \
        ordain ready\n  \
        # through its Service; waits up to a minute\n  \
        ordain ready ordain.ordain-system:9464 --timeout 60s\n\n\
        Exit code: 0 ready, 1 not ready, 3 no answer, 2 wrong usage.")]
    Ready(ReadySettings),
    /// Print the completion script of a shell
    #[command(after_help = "Examples:\n  \
        ordain completions bash > /etc/bash_completion.d/ordain\n  \
        ordain completions zsh > ~/.zfunc/_ordain\n  \
        ordain completions fish > ~/.config/fish/completions/ordain.fish\n\n\
        Exit code: 0 printed, 2 wrong usage.")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

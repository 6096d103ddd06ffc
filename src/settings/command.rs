//! Every command, with the examples and exit codes of its help.

use super::{
    CheckSettings, ExplainSettings, PlanSettings, RbacSettings, ReadySettings, RunSettings,
    TestSettings,
};
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow rules and cluster, and reconcile until told to stop
    #[command(after_help = "Examples:\n  \
        ordain run --rules rules                              the daemon on the cluster of the current kubeconfig\n  \
        ordain run --rules rules --audit-only                 the same, but nothing is changed\n  \
        ordain run --once --rules rules                       one full pass, for cron jobs and pipelines\n  \
        ordain run --manifests cluster --rules rules          the cluster is a folder of YAML files; edits of them are followed\n  \
        ordain run --once --manifests cluster --rules rules --write-manifests result\n\n\
        Exit code: 0 after a clean stop or when all is done; with --once 3 if a request was refused, a limit or breaker stopped \
        something, or an error kept a test undecided; 2 wrong usage.")]
    Run(Box<RunSettings>),
    /// Compile rule files without any cluster
    #[command(after_help = "Examples:\n  \
        ordain check rules\n  \
        ordain check rules --manifests crds        kinds of the CustomResourceDefinitions there are known too\n  \
        cat rule.yaml | ordain check -\n\n\
        Exit code: 0 good, 1 problems, 2 wrong usage.")]
    Check(CheckSettings),
    /// Show what Enforce would do now; write nothing
    #[command(after_help = "Examples:\n  \
        ordain plan --rules rules                                on the cluster of the current kubeconfig\n  \
        ordain plan --rules rules --manifests cluster            on a folder of YAML files\n  \
        ordain plan --rules rules --rule 'replicas-*' -o json\n  \
        ordain plan --manifests cluster --now 2026-03-01T00:00:00Z\n\n\
        Exit code: 0 nothing to change, 1 changes, 3 could not tell, 2 wrong usage.")]
    Plan(PlanSettings),
    /// Show what a rule makes of an object: each clause, the value it saw, and what follows
    #[command(after_help = "Examples:\n  \
        ordain explain replicas-floor Deployment/shop/web --rules rules                      on the cluster of the current kubeconfig\n  \
        ordain explain replicas-floor Deployment/shop/web --rules rules --manifests cluster  on a folder of YAML files\n  \
        ordain explain replicas-floor Deployment/shop/web --from 127.0.0.1:9464              as a running daemon sees it now: its limits,\n  \
        \u{20}                                                                                    breakers and freeze included\n\n\
        OBJECT is KIND/NAMESPACE/NAME, or KIND/NAME of a cluster-scoped one, with GROUP/VERSION/ before it where that is needed to be clear.\n\
        Exit code: 0 would act, 1 would not, 3 could not tell, 2 wrong usage.")]
    Explain(ExplainSettings),
    /// Print the least rights that the rules need, as Roles and bindings
    #[command(
        after_help = "Examples:\n  \
        ordain rbac --rules rules | kubectl apply -f -              a ClusterRole, and a Role in the daemon's own namespace\n  \
        ordain rbac --rules rules --namespace shop --namespace bar  Roles in these namespaces alone\n  \
        ordain rbac --rules rules --check                           what does the current identity lack, and for which rule?\n  \
        ordain rbac --rules rules --manifests crds                  kinds of the CustomResourceDefinitions there are known too\n\n\
        Exit code: 0 printed, or nothing is missing; 1 problems in rules, or rights are missing; 3 the server did not answer; \
        2 wrong usage.",
        after_long_help = "Rules in Audit get what they would need in Enforce: going from one to the other is an edit of a rule, and \
        should not need a cluster administrator. `--audit-only` grants no verb that writes objects; rules that are Off get nothing. \
        Each line says which rules need it.\n\n\
        Plural names come from the built-in kinds, from CustomResourceDefinitions among --manifests, or, if --kubeconfig or \
        --context is given, or with --check, from the cluster.\n\n\
        Examples:\n  \
        ordain rbac --rules rules | kubectl apply -f -              a ClusterRole, and a Role in the daemon's own namespace\n  \
        ordain rbac --rules rules --namespace shop --namespace bar  Roles in these namespaces alone\n  \
        ordain rbac --rules rules --check                           what does the current identity lack, and for which rule?\n  \
        ordain rbac --rules rules --manifests crds                  kinds of the CustomResourceDefinitions there are known too\n\n\
        Exit code: 0 printed, or nothing is missing; 1 problems in rules, or rights are missing; 3 the server did not answer; \
        2 wrong usage."
    )]
    Rbac(RbacSettings),
    /// Run every RuleTest found
    #[command(after_help = "Examples:\n  \
        ordain test rules\n  \
        ordain test rules/jobs/tests/finished-jobs.yaml -o json\n\n\
        Exit code: 0 all pass, 1 some fail, 2 wrong usage.")]
    Test(TestSettings),
    /// Print the JSON Schema of rule and test files, for editors
    #[command(after_help = "Examples:\n  \
        ordain schema > ordain.schema.json\n  \
        # yaml-language-server: $schema=ordain.schema.json     the first line of a rule file, for editors with the YAML language server\n\n\
        Exit code: 0 printed, 2 wrong usage.")]
    Schema,
    /// Ask a running daemon whether it is ready
    #[command(after_help = "Examples:\n  \
        ordain ready                                        the daemon on this machine\n  \
        ordain ready ordain.ordain-system:9464 --timeout 60s   through its Service; waits up to a minute\n\n\
        Exit code: 0 ready, 1 not ready, 3 no answer, 2 wrong usage.")]
    Ready(ReadySettings),
    /// Print the completion script of a shell
    #[command(after_help = "Examples:\n  \
        ordain completions bash > /etc/bash_completion.d/ordain\n  \
        ordain completions zsh > ~/.zfunc/_ordain")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

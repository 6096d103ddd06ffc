//! `ordain rbac`: the least rights that rules need, and with `--check` which of them are missing.

use super::{exit, output};
use crate::cluster::connection::ConnectOptions;
use crate::cluster::rights::{Access, Answer};
use crate::manifests::Manifests;
use crate::rights::manifest::{Names, yaml};
use crate::rights::{Grant, Own, Right, Rights, Scope, derive};
use crate::rule::problem::Severity;
use crate::rule::set::RuleSet;
use crate::rules_dir::{self, FileSet};
use crate::schema::Schema;
use crate::settings::RbacSettings;
use anyhow::Context;

pub fn run(settings: &RbacSettings) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = &settings.cluster;
        let asks = settings.check || cluster.kubeconfig.is_some() || cluster.context.is_some();
        // What a shell has set for other programs is asked if it answers: without manifests nobody else knows the cluster's own kinds.
        let around = std::env::var_os("KUBECONFIG").is_some_and(|text| !text.is_empty());
        let may_ask = around && cluster.manifests.is_empty();
        let options = ConnectOptions {
            kubeconfig: cluster.kubeconfig.clone(),
            context: cluster.context.clone(),
            ..ConnectOptions::default()
        };
        let asked = match asks || may_ask {
            true => match asked(&options).await {
                Err(error) if !asks => {
                    output::say!(
                        "warning: the cluster of KUBECONFIG cannot be asked: {error:#}: only the built-in kinds and those of manifests are known\n"
                    );
                    None
                }
                asked => Some(asked.context("the cluster")?),
            },
            false => None,
        };
        let files = rules_dir::load(&settings.rules.rules);
        let (access, schema) = match asked {
            Some((access, schema)) => (Some(access), schema),
            None => (None, of_manifests(settings, &files)),
        };
        let Some(set) = rules(settings, &files, schema) else {
            return Ok(exit::FOUND);
        };
        let Some(rights) = rights(settings, &set) else {
            return Ok(exit::FOUND);
        };
        match access {
            Some(access) if settings.check => check(&access, &rights).await,
            _ => {
                output::print(&yaml(&rights, &names(settings)))?;
                Ok(exit::DONE)
            }
        }
    })
}

/// A cluster and its kinds.
async fn asked(options: &ConnectOptions) -> anyhow::Result<(Access, Schema)> {
    let access = Access::open(options).await?;
    let schema = access.schema().await?;
    Ok((access, schema))
}

/// The built-in kinds, and those of CustomResourceDefinitions among `--manifests` or beside the rules' tests.
fn of_manifests(settings: &RbacSettings, files: &FileSet) -> Schema {
    let manifests = Manifests::read(&settings.cluster.manifests);
    for problem in &manifests.problems {
        output::say!("{problem}\n");
    }
    let (schema, left_out) = manifests.schema(&Schema::bundled());
    for message in left_out {
        output::say!("warning: {message}");
    }
    Manifests::from_files(files).schema(&schema).0
}

/// The rules, if all of them are good: the rights of some of them would look like those of all.
fn rules(settings: &RbacSettings, files: &FileSet, schema: Schema) -> Option<RuleSet> {
    let compiled = rules_dir::compile_selected(&files.files, &schema, &settings.rules.selection());
    let mut errors = 0;
    for unreadable in &files.unreadable {
        errors += 1;
        output::say!(
            "error: {} cannot be read: {}\n",
            unreadable.path,
            unreadable.reason
        );
    }
    // Warnings are for `ordain check`.
    let found = compiled.problems.iter();
    for problem in found.filter(|p| p.severity == Severity::Error) {
        errors += 1;
        output::say!("{problem}\n");
    }
    if errors > 0 {
        output::say!(
            "ordain: {} in the rules: nothing is printed, because the rights would not be those of all rules",
            output::count(errors, "error")
        );
        return None;
    }
    if compiled.rules.is_empty() {
        output::say!("ordain: there is no rule: give a folder with some by --rules");
        return None;
    }
    Some(RuleSet::new(compiled.rules, schema))
}

fn rights(settings: &RbacSettings, set: &RuleSet) -> Option<Rights> {
    let scope = Scope {
        namespaces: settings
            .cluster
            .namespaces
            .iter()
            .map(|n| n.as_str().into())
            .collect(),
        read_only: settings.audit_only,
        own: Own {
            state_namespace: settings.state_namespace.as_str().into(),
            lease: settings.lease_name.as_str().into(),
            events: settings.events,
        },
    };
    match derive(set, &scope) {
        Ok(rights) => {
            for (rule, kind) in &rights.out_of_reach {
                output::say!(
                    "warning: rule `{rule}`: {kind} is cluster-scoped, so that a daemon with --namespace does not look at it"
                );
            }
            for note in &rights.by_hand {
                output::say!("warning: {note}");
            }
            Some(rights)
        }
        Err(unknown) => {
            for unknown in unknown {
                output::say!("error: {unknown}");
                output::say!(
                    "  = help: put its CustomResourceDefinition among --manifests, or give --kubeconfig of a cluster that has it\n"
                );
            }
            None
        }
    }
}

fn names(settings: &RbacSettings) -> Names {
    Names {
        name: settings.name.clone(),
        service_account: settings.service_account.clone(),
        state_namespace: settings.state_namespace.as_str().into(),
    }
}

/// Names what is missing, for whom.
async fn check(access: &Access, rights: &Rights) -> anyhow::Result<u8> {
    let asked: Vec<&Right> = rights.grants.iter().map(|g| &g.right).collect();
    let answers = access.ask(&asked).await;
    let (mut text, mut missing, mut unknown) = (String::new(), 0, 0);
    for (Grant { right, reason }, answer) in rights.grants.iter().zip(answers) {
        match answer {
            Answer::Allowed => {}
            Answer::Missing(why) => {
                missing += 1;
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(" ({why})")
                };
                text.push_str(&format!("missing: {right}, for {reason}{why}\n"));
            }
            Answer::Unknown(why) => {
                unknown += 1;
                text.push_str(&format!("not known: {right}, for {reason}: {why}\n"));
            }
        }
    }
    let of = output::count(rights.grants.len(), "right");
    text.push_str(&match (missing, unknown) {
        (0, 0) => format!("{of}: all are granted\n"),
        (missing, 0) => format!("{of}: {missing} missing\n"),
        (missing, unknown) => format!("{of}: {missing} missing, {unknown} not known\n"),
    });
    output::print(&text)?;
    Ok(match (missing, unknown) {
        (0, 0) => exit::DONE,
        (0, _) => exit::COULD_NOT_TELL,
        _ => exit::FOUND,
    })
}

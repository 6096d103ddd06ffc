//! Every option of every command, with its environment variable, default, unit and bound.
//!
//! An option given on the command line wins over its variable. A variable of a repeatable option takes several values separated by commas.
//!
//! | file | what is there |
//! | --- | --- |
//! | `command` | the commands, with the examples and exit codes of their help |
//! | `options` | groups of options that several commands share |
//! | `run`, `plan`, `check`, `rbac`, `ready` | the options of each command |
//! | `value` | how values are read where clap has no reader |

mod check;
mod command;
mod options;
mod plan;
mod rbac;
mod ready;
mod run;
#[cfg(test)]
mod tests;
mod value;

pub use check::{CheckSettings, TestSettings};
pub use command::Command;
pub use options::{
    ClusterOptions, ColorChoice, KindOptions, LogFormat, LogOptions, MemoryOptions, OutputFormat,
    OutputOptions, RuleOptions, SelectOptions, TimeOptions,
};
pub use plan::{ExplainSettings, PlanSettings};
pub use rbac::RbacSettings;
pub use ready::ReadySettings;
pub use run::RunSettings;
pub use value::object_name;

use crate::schema::nearest;
use clap::{CommandFactory, Parser};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "ordain",
    version,
    about = "Keeps Kubernetes objects the way your rules say.",
    long_about = "Keeps Kubernetes objects the way your rules say. A rule is a YAML file: which objects it is about, and what must be \
                  true of them or be done with them.",
    after_help = "Examples:\n  \
        # see it work, without a cluster\n  \
        ordain run --manifests examples/shop/cluster --rules examples/shop/rules\n  \
        # is every rule file well-formed?\n  \
        ordain check rules\n  \
        # what would be changed now?\n  \
        ordain plan --rules rules\n  \
        # run the rules' tests\n  \
        ordain test rules\n  \
        # why does a rule act on an object, or not?\n  \
        ordain explain RULE KIND/NAMESPACE/NAME --rules rules\n  \
        # which rights do the rules need?\n  \
        ordain rbac --rules rules\n  \
        # the daemon\n  \
        ordain run --rules rules\n\n\
        Every option has an environment variable of the same name: ORDAIN_RULES, ORDAIN_LOG_LEVEL, …",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = false
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A variable that begins like ours and is none, with the nearest of ours: a switch that is misspelt must not be overlooked.
///
/// What Kubernetes sets in every container for a Service that is called `ordain…` does not count.
pub fn misspelt_variable(names: impl IntoIterator<Item = String>) -> Option<String> {
    let command = Arguments::command();
    let known: Vec<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_opts)
        .filter_map(|option| Some(option.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let name = names.into_iter().find(|name| {
        name.starts_with("ORDAIN_") && !known.contains(name) && !is_of_a_service(name)
    })?;
    let mend = match nearest(&name, known.iter().map(String::as_str)).first() {
        Some(near) => format!("did you mean {near}?"),
        None => "every option has one of its name: ORDAIN_RULES is --rules".to_owned(),
    };
    Some(format!("no option has the variable {name}: {mend}"))
}

/// `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_NAME`, `X_PORT`, `X_PORT_9464_TCP`, `X_PORT_9464_TCP_ADDR`.
fn is_of_a_service(name: &str) -> bool {
    let has_port = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split_once("_PORT_").is_some_and(has_port)
}

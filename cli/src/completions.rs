//! What is derived from the list of flags alone: completion scripts and the manual page.

use crate::failure::Failure;
use crate::flags::CommandLine;
use crate::output;
use clap::CommandFactory;
use clap_complete::Shell;

/// `mini-wasm completions SHELL`
pub(crate) fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "mini-wasm", &mut script);
    output::print_bytes(&script).map(|()| 0)
}

/// `mini-wasm man`: the page of the command, then one section for each subcommand's own page.
pub(crate) fn manual_page() -> Result<u8, Failure> {
    let mut command = CommandLine::command();
    command.build();
    let mut page = Vec::new();
    let render = |command: &clap::Command, page: &mut Vec<u8>| {
        clap_mangen::Man::new(command.clone())
            .render(page)
            .map_err(|error| Failure::Other(format!("cannot write the manual page: {error}")))
    };
    render(&command, &mut page)?;
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        render(subcommand, &mut page)?;
    }
    output::print_bytes(&page).map(|()| 0)
}

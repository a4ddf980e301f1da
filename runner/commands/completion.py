"""`completion`: lets the shell complete commands, files, inputs, steps and parameters."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

_LINE = "FLOODRUNNER_LINE"
"""Environment variable with the command line up to the cursor. Bash splits its own words at `=` and `:`."""

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' value
    COMPREPLY=()
    for value in $(FLOODRUNNER_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null); do
        [[ $value == *[=/.] ]] && compopt -o nospace
        COMPREPLY+=("${value// /\\\\ }")
    done
}
complete -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local line=${(j: :)${(@q)words[1,CURRENT]}} value
    local -a open closed
    for value in ${(f)"$(FLOODRUNNER_LINE=$line %(complete_var)s=zsh_complete ${words[1]} 2>/dev/null)"}; do
        if [[ $value == *[=/.] ]]; then open+=("$value"); else closed+=("$value"); fi
    done
    (( $#open )) && compadd -U -S '' -a open
    (( $#closed )) && compadd -U -a closed
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l command (commandline -opc)[1]
    env FLOODRUNNER_LINE=(commandline -cp | string collect) %(complete_var)s=fish_complete $command 2>/dev/null
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Shell(ShellComplete):
    """Splits the line in the same way for each shell. A file is completed as a word that may follow `images=`."""

    def get_completion_args(self) -> tuple[list[str], str]:
        import os

        line = os.environ.get(_LINE, "")
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        return str(item.value)


class Bash(_Shell):
    name, source_template = "bash", _BASH

    def format_completion(self, item: CompletionItem) -> str:
        """Without the part up to the last `=` or `:` that is typed: bash keeps it, and replaces what follows."""
        _, typed = self.get_completion_args()
        return str(item.value)[max(typed.rfind("="), typed.rfind(":")) + 1 :]


class Zsh(_Shell):
    name, source_template = "zsh", _ZSH


class Fish(_Shell):
    name, source_template = "fish", _FISH


_SHELLS = (Bash, Zsh, Fish)
for _shell in _SHELLS:
    add_completion_class(_shell)


@click.command()
@click.argument("shell", type=click.Choice([shell.name for shell in _SHELLS]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what a shell needs to complete commands, files, steps and parameters.

    \b
    bash, in ~/.bashrc:                    eval "$(floodrunner completion bash)"
    zsh, in ~/.zshrc, after compinit:      eval "$(floodrunner completion zsh)"
    fish, in ~/.config/fish/config.fish:   floodrunner completion fish | source
    """
    made = next(each for each in _SHELLS if each.name == shell)
    click.echo(made(context.find_root().command, {}, "floodrunner", "_FLOODRUNNER_COMPLETE").source(), nl=False)

"""The commands on models that are registered, and on the rows that they did not see."""

from flows.commands.champion_commands import history, promote, rollback
from flows.commands.monitor_command import monitor
from flows.commands.prune_command import prune
from flows.commands.rejects_command import rejects
from flows.commands.serve_command import serve
from flows.commands.shadow_command import shadow
from flows.commands.ui_command import ui

MODEL_COMMANDS = (serve, monitor, ui, promote, rollback, history, prune, shadow, rejects)

"""The commands on models that are registered, and on the rows that they did not see."""

from flows.commands.verbs.champion_commands import history, models, promote, rollback
from flows.commands.verbs.monitor_command import monitor
from flows.commands.verbs.predict_command import predict
from flows.commands.verbs.prune_command import prune
from flows.commands.verbs.rejects_command import rejects
from flows.commands.verbs.serve_command import serve
from flows.commands.verbs.shadow_command import shadow
from flows.commands.verbs.ui_command import ui

MODEL_COMMANDS = (
    *(predict, serve, monitor, ui),
    *(models, promote, rollback, history, prune, shadow, rejects),
)

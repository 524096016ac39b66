"""When and where: flows, tasks, the command line."""

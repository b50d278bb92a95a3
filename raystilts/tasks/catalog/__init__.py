"""One small file a task: each names a `TASK` (or `TASKS`), which the registry finds by itself."""

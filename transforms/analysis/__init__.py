"""The analysis: from raw rows to a frozen transform, and the drift from one."""

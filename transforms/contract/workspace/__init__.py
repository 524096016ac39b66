"""The workspace: what lies where, in which form, and under which lock."""

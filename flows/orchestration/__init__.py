"""Orchestration: Prefect's flows, servers and deployments, and nothing else of Prefect."""

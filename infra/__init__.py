"""How Braid is deployed: `prefect.yaml`, which `braid deploy` reads, and files for containers."""

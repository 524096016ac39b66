"""What is declared of how rows and models are judged."""

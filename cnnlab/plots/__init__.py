"""Pictures: of runs, embeddings and layers."""

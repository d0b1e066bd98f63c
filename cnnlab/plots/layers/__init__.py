"""Pictures of layers at work, step by step: what a frame shows, and how it is drawn."""

"""From prompts to answers: base models, adapters and the backends that run them."""

"""A data root: where everything lies in it, how it is configured and founded, who holds it, how it is copied."""

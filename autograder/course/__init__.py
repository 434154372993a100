"""What the notebooks import: stand-ins for earlier answers, small models, data."""

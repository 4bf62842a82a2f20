"""The devnet's pallets: one module each, which registers its calls when it is imported."""

"""The daemon: deletion events in, model versions and receipts out."""

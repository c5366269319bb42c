"""From passages and corpora to the records that an adapter is trained on."""

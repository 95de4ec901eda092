"""How a mail is put together and leaves the house."""

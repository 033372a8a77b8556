"""The bytes that the browser draws from."""

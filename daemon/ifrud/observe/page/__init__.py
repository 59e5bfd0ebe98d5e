"""The status page: what a person who is woken looks at first, as HTML that needs nothing but a browser."""

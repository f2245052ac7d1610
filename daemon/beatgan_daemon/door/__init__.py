"""Who may connect: keys, lists, and the one who asks for them."""

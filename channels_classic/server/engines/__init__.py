"""The ASGI engines that we run, and what they leave open."""

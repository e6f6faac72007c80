"""The fuzzing client of Autobahn against a server and a worker: ``make autobahn``."""

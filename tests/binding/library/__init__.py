"""An app with models of every kind, for the tests of bindings."""

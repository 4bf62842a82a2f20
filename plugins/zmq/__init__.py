"""The stock plugin `zmq`: its hooks."""

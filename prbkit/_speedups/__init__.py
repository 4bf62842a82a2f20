"""The Cython core: SCALE, hashing, hex, headers, trie, justifications, framing.

Imports nothing of prbkit: it raises the classes that `bind_errors` was given (ValueErrors until
then). The domain packages get it through `prbkit._native`, which binds the error tree.
"""

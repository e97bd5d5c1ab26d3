"""Which node a person's connection goes to.

A wedding's people together, nodes evenly filled, nobody on a node that is gone.
"""

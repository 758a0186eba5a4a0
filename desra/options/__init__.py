"""Typed, strict options: every key described, an unknown key answered with path and neighbour.

A YAML file becomes one frozen object; nothing in it is ever evaluated. Sections that describe a
registered class (``network_g``, a loss, a dataset) hold ``type`` and that class's own
arguments, which :mod:`desra.registry` checks against the class.

A module for each stage, what they share in ``base`` and ``sections``, reading and checking in
``loading``, what differs between two in ``comparing``.
"""

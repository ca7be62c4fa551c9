"""The resource of interface `engine`: componentize-py looks for it in a module of the interface's name."""

from wit_world.exports import engine


class Counter(engine.Counter):
    def __init__(self, start):
        self.value = start

    def inc(self, by):
        self.value += by
        return self.value

    def get(self):
        return self.value

    @classmethod
    def merge(cls, a, b):
        return cls(a.value + b.value)

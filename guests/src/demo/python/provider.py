"""World `provider` of demo.wit in Python: the functions; the resource is in engine.py."""

import math

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import Shape_Circle, Shape_Polygon


class Engine(exports.Engine):
    def area(self, s):
        if isinstance(s, Shape_Circle):
            _, radius = s.value
            return math.pi * radius * radius
        if not isinstance(s, Shape_Polygon):
            raise Err("empty shape")
        points = s.value
        if len(points) < 3:
            raise Err(f"polygon with {len(points)} points")
        return abs(sum(p.x * q.y - q.x * p.y for p, q in zip(points, points[1:] + points[:1]))) / 2

    def describe(self, items):
        described = (f"{i.id}:{i.name}:{','.join(i.tags)}:{i.color.name}:{i.perms.value}" for i in items)
        return "py:" + ";".join(described)

    def echo_item(self, i):
        return i

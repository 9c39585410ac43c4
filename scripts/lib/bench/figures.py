"""Medians, quartiles, tables and bars."""

import dataclasses
import statistics

# Ratios of fewer pairs decide nothing.
ENOUGH = 7


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median with its quartiles, of so many values; a count of 0 is a figure without noise."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> "Spread | None":
        """None for no values.

        >>> Spread.of([3.0, 1.0, 2.0, 4.0, 5.0])
        Spread(median=3.0, low=2.0, high=4.0, count=5)
        >>> Spread.of([2.0]), Spread.of([])
        (Spread(median=2.0, low=2.0, high=2.0, count=1), None)
        """
        if not values:
            return None
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}-{self.high:.2f}]"


@dataclasses.dataclass(frozen=True)
class Bar:
    """A limit that is held, and what was measured."""

    name: str
    limit: float
    measured: Spread | None
    unit: str = "x"

    @property
    def broken(self) -> bool:
        """Only if the whole inter-quartile range lies above the limit: one noisy run breaks nothing.

        >>> [Bar("a", 1.1, Spread(1.2, low, 1.3, n)).broken for low, n in ((1.05, 7), (1.15, 7), (1.15, 3))]
        [False, True, False]
        >>> Bar("a", 1.1, exact(1.2)).broken, Bar("a", 1.1, None).broken
        (True, False)
        """
        return self.measured is not None and self.measured.low > self.limit and not self.undecided

    @property
    def undecided(self) -> bool:
        return self.measured is None or 0 < self.measured.count < ENOUGH

    def __str__(self) -> str:
        if self.measured is None:
            return f"bar: {self.name}: not measured (limit {self.limit:g} {self.unit})"
        if self.broken:
            verdict = "broken"
        elif self.undecided:
            side = "within" if self.measured.median <= self.limit else "above"
            verdict = f"{side}, undecided (n={self.measured.count}; {ENOUGH} decide)"
        elif self.measured.median <= self.limit:
            verdict = "ok"
        else:
            verdict = "ok (its quartiles reach below the limit)"
        value = f"{self.measured.median:.2f}" if self.measured.count == 0 else str(self.measured)
        return f"bar: {self.name}: {value} {self.unit}, limit {self.limit:g}: {verdict}"


def exact(value: float) -> Spread:
    """A figure without noise."""
    return Spread(value, value, value, 0)


def beside(value: float, base: float, digits: int = 1) -> str:
    """A figure, and in brackets what multiple of the subject's own it is.

    >>> beside(50000, 40000, 0), beside(3, 3), beside(1, 0)
    ('50,000 (1.25)', '3.0', '1.0')
    """
    shown = f"{value:,.{digits}f}"
    return shown if base in (0, value) else f"{shown} ({value / base:.2f})"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns line up in plain text too.

    >>> print(table(["name", "n"], [["a", "10"], ["long name", "2"]]))
    | name      |  n |
    |:----------|---:|
    | a         | 10 |
    | long name |  2 |
    """
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]

    def line(cells: list[str]) -> str:
        first, *others = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|".join((":" + "-" * (w + 1)) if c == 0 else ("-" * (w + 1) + ":") for c, w in enumerate(widths))
    return "\n".join([line(heads), f"|{rule}|", *map(line, rows)])

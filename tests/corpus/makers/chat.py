"""Chat templates: what the published ones use, what is malformed, and what would take all there is."""
import json
import pathlib

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "chat"
#: Those of the golden files that refuse the target's conversation, whose last turn has parts.
REFUSING = {"brackets": "Roles must alternate", "markers": "line 1"}

MALFORMED = {
    "expression-open": ("{{ 1", "line 1"),
    "text-open": ("{{ 'a }}", "line 1"),
    "comment-open": ("a\n{# b", "line 2"),
    "raw-open": ("{% raw %}{{", "line 1"),
    "block-open": ("{% for x in messages %}", "line 1"),
    "block-unknown": ("{% include 'x' %}", "include"),
    "end-of-nothing": ("{% endif %}", "line 1"),
    "bracket-open": ("{{ (1 }}", "line 1"),
    "operand-missing": ("{{ 1 + }}", "line 1"),
    "two-operands": ("{{ a b }}", "line 1"),
    "number-too-large": ("{{ 99999999999999999999 }}", ""),
    "escape-cut": ("{{ '\\u12' }}", "line 1"),
    "assign-to-a-number": ("{% set 1 = 2 %}", "line 1"),
    "filter-unknown": ("{{ 1 | nope }}", "'nope'"),
    "test-unknown": ("{{ 1 is nope }}", "'nope'"),
    "no-utf8": (b"{{ '\xff\xc3' }}\xed\xa0\x80", None),
    "zero-byte": (b"a\0{{ '\0' }}", None),
    "nested-brackets": ("{{ " + "(" * 1000, "nested deeper"),
    "nested-lists": ("{{ " + "[" * 1000, "nested deeper"),
    "nested-minus": ("{{ " + "-" * 1000 + "1 }}", "nested deeper"),
    "nested-not": ("{{ " + "not " * 1000 + "1 }}", "nested deeper"),
    "nested-sums": ("{{ 1" + " + 1" * 1000 + " }}", "nested deeper"),
    "nested-filters": ("{{ 1" + "|d" * 1000 + " }}", "nested deeper"),
    "nested-blocks": ("{% if 1 %}" * 300, "nested deeper"),
}

AT_RUN_TIME = {
    "undefined": ("{{ missing.a }}", "line 1"),
    "refuses": ("a\n{{ raise_exception('no tools') }}", "line 2: the template refuses"),
    "adds-text-to-number": ("{{ 'a' + 1 }}", "line 1"),
    "divides-by-zero": ("{{ 1 // 0 }}", "line 1"),
    "least-integer": ("{{ (-9223372036854775807 - 1) // -1 }}", ""),
    "least-modulo": ("{{ (-9223372036854775807 - 1) % -1 }}", None),
    "power-large": ("{{ 2 ** 9999999 }}", ""),
    "minus-least": ("{{ -(-9223372036854775807 - 1) }}", ""),
    "slices": ("{{ 'héllo'[9223372036854775807:-9223372036854775807:-9223372036854775807] }}"
               "{{ [1, 2][::9223372036854775807] }}", None),
    "format-star": ("{{ '%*d' % (1, 2) }}", ""),
    "format-wide": ("{{ '%999999999s' % 1 }}", "a text of more than"),
    "format-large-integer": ("{{ '{:,}'.format(-9223372036854775807 - 1) }}", ""),
    "format-precision": ("{{ '%.999999999f' % 1.5 }}", ""),
    "format-of-attribute": ("{{ '{0.__class__}'.format(1) }}", ""),
    "round-far": ("{{ 1.5 | round(999999999) }}{{ 1e308 | round(-400) }}", None),
    "int-of-infinity": ("{{ 1e999 | int }}", "too large"),
    "int-of-text": ("{{ ('9' * 400) | int }}", "too large"),
    "repeats-text": ("{{ 'x' * 9000000000000000000 }}", "a text of more than"),
    "repeats-list": ("{{ [1] * 9000000000000000000 }}", "steps"),
    "range-long": ("{{ range(9000000000000000000) | list }}", "range()"),
    "range-overflows": ("{{ range(9223372036854775800, 9223372036854775807, 5) | list }}", None),
    "loop-of-loops": ("{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}", "steps"),
    "doubles-text": ("{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}"
                     "{% endfor %}", ""),
    "doubles-list": ("{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}"
                     "{% endfor %}", "steps"),
    "doubles-nesting": ("{% set n = namespace(l=1) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}"
                        "{% endfor %}{{ n.l }}", "steps"),
    "deep-list": ("{% set n = namespace(l=[]) %}{% for i in range(999) %}{% set n.l = [n.l] %}{% endfor %}",
                  "nested deeper"),
    "holds-itself": ("{% set n = namespace() %}{% set n.a = n %}{{ n.a.a is defined }}", None),
    "macro-recurses": ("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}", "recursion deeper"),
    "caller-recurses": ("{% macro m() %}{% call m() %}{% endcall %}{{ caller is defined }}{% endmacro %}"
                        "{% call m() %}{% endcall %}", "recursion deeper"),
    "changes-a-list": ("{{ messages.append(1) }}", "line 1"),
    "dunder": ("{{ ''.__class__.__mro__ }}", ""),
    "indent-wide": ("{{ 'a\nb' | indent(999999999) }}", ""),
    "json-indent": ("{{ [1, [2]] | tojson(indent=999999999) }}", ""),
    "time-long": ("{{ strftime_now('%Y' * 9999) }}", None),
    "time-unknown": ("{{ strftime_now('%Q%') }}", None),
    "replaces-nothing": ("{{ ('a' * 9999).replace('', 'bbbbbbbb') }}", "a text of more than"),
    "sorts-mixed": ("{{ [1, 'a', none] | sort }}", "line 1"),
}


def golden():
    result = {}
    for one in json.loads((GOLDEN / "templates.json").read_text()):
        result[one["name"]] = (one["template"], REFUSING.get(one["name"]))
    for i, one in enumerate(json.loads((GOLDEN / "expressions.json").read_text())):
        if "text" in one:
            result[f"expression-{i:03d}"] = (one["template"], None)
    return result


def files():
    result = {"empty": (b"", None)}
    for name, (source, message) in (MALFORMED | AT_RUN_TIME | golden()).items():
        result[name] = (source if isinstance(source, bytes) else source.encode(), message)
    return result

"""Templates, expressions and conversations for make_chat_golden.py, written for the tests: each
template uses the constructs that one kind of published template does."""

USER = {"role": "user", "content": "Hi there!"}
CONVERSATIONS = {
    "empty": [],
    "one": [USER],
    "turns": [
        {"role": "system", "content": "  You are terse.\n"},
        {"role": "user", "content": " What is 2+2? "},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "And in French? <|im_end|> \"quoted\" & 'single'"},
    ],
    "no_system": [USER, {"role": "assistant", "content": "Hello.\n\n"}, {"role": "user", "content": "Bye"}],
    "unicode": [
        {"role": "system", "content": "Réponds en français — «vite» 🙂"},
        {"role": "user", "content": "日本語 ΣΟΦΟΣ straße ﬁ İstanbul\u00a0\u2028end \x7f\u200b"},
    ],
    "missing_role": [{"content": "nobody says this"}, USER],
    "missing_content": [USER, {"role": "assistant"}, {"role": "user", "content": None}],
    "order": [USER, USER, {"role": "assistant", "content": "twice?"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "Look: "}, {"type": "image"},
                                           {"type": "text", "text": "what is it?"}]}],
    "calls": [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "Weather in Łódź?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"type": "function", "id": "abc123456", "function": {
                "name": "get_weather", "arguments": {"city": "Łódź", "days": 3, "units": None,
                                                     "exact": True, "scale": 1.5}}},
            {"type": "function", "id": "def123456", "function": {
                "name": "get_time", "arguments": {}}}]},
        {"role": "tool", "tool_call_id": "abc123456", "name": "get_weather", "content": "{\"t\": -3}"},
        {"role": "tool", "tool_call_id": "def123456", "name": "get_time", "content": "12:00"},
        {"role": "assistant", "content": "It is -3 °C."},
    ],
    "reasoning": [USER, {"role": "assistant", "reasoning_content": "Think.\nHard.",
                         "content": "<think>\nold\n</think>\n\nAnswer"},
                  {"role": "user", "content": "Why?"}],
    "thinking": [USER, {"role": "assistant", "thinking": "hm", "content": "Hello"}, USER],
}

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather of a \"city\"\n(any)",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Name <b>&amp;</b>"},
            "days": {"type": "integer", "default": 1, "enum": [1, 3, 7]},
            "units": {"type": ["string", "null"]},
            "filters": {"type": "array", "items": {"type": "string"}}}, "required": ["city"]},
        "return": {"type": "number"}}},
    {"type": "function", "function": {"name": "get_time", "description": "Time now",
                                      "parameters": {"type": "object", "properties": {}}}},
]

TEMPLATES = {
    # The turns of an instruct model between markers; a default system turn.
    "markers": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|start|>system\\nBe kind.<|end|>\\n' }}{% endif %}{{'<|start|>' + message['role'] + '\\n' + message['content'] + '<|end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}""",
    # Brackets around users, strict alternation, system text folded into the first turn.
    "brackets": """{% if messages[0]['role'] == 'system' %}
{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}
{% else %}{% set loop_messages = messages %}{% set system_message = false %}
{% endif %}
{% for message in loop_messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Roles must alternate: user, assistant, ...') }}
    {% endif %}
    {% if loop.index0 == 0 and system_message != false %}
        {% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{- bos_token + '[INST] ' + content.strip() + ' [/INST]' -}}
    {% elif message['role'] == 'assistant' %}
        {{- ' '  + content.strip() + ' ' + eos_token -}}
    {% endif %}
{% endfor %}""",
    # Headers, the date, tools as JSON, calls.
    "headers": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The first turn may be the system's. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|/head|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: python\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not in_user %}
    {{- "You have these functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {%- for call in message.tool_calls %}
                {%- set tool_call = call.function %}
                {{- '{"name": "' + tool_call.name + '", ' }}
                {{- '"parameters": ' }}
                {{- tool_call.arguments | tojson }}
                {{- "}" }}
                {%- if not loop.last %},{% endif %}
            {%- endfor %}
        {%- endif %}
        {%- for arg_name, arg_val in message.tool_calls[0].function.arguments | items %}
            {{- arg_name + '="' ~ arg_val ~ '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|head|>ipython<|/head|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\\n\\n' }}
{%- endif %}
""",
    # Namespaces, a walk from the end, reasoning cut out, grouped tool results.
    "thinker": """{%- if tools %}
    {{- '<|in|>system\\n' }}
    {%- if messages and messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|out|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|in|>' + message.role + '\\n' + content + '<|out|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index or loop.last or (not loop.last and reasoning_content) %}
            {{- '<|in|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|in|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<call>{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}{{- tool_call.arguments }}
                {%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
                {{- '}</call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|out|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|in|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|out|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|in|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    # Macros that write TypeScript-like signatures, call blocks, defaults, keyword arguments.
    "macros": """{%- macro render_type(spec, required=[], depth=0) -%}
    {%- if spec.type == "array" -%}
        {{- render_type(spec['items'], depth=depth + 1) + "[]" -}}
    {%- elif spec.type is iterable and spec.type is not string -%}
        {{- spec.type | join(" | ") -}}
    {%- elif spec.enum -%}
        {{- '"' ~ spec.enum | join('" | "') ~ '"' -}}
    {%- elif spec.type == "object" -%}
        {{- "{\\n" -}}
        {%- for name, inner in spec.properties.items() -%}
            {{- "  " * (depth + 1) ~ name -}}
            {%- if name not in (spec.required or []) -%}?{%- endif -%}
            {{- ": " ~ render_type(inner, required=spec.required, depth=depth+1) -}}
            {%- if inner.default is defined %} // default: {{ inner.default | tojson }}{%- endif -%}
            {%- if not loop.last %},{% endif %}{{ "\\n" }}
        {%- endfor -%}
        {{- "}" -}}
    {%- else -%}
        {{- spec.type | default("any") -}}
    {%- endif -%}
{%- endmacro -%}
{%- macro boxed(title, mark="#") -%}
{{ mark * 2 }} {{ title | upper }}
{{ caller() | indent(2) }}
{% endmacro -%}
{%- macro counted() %}{{ varargs | length }}/{{ kwargs | dictsort | map('join', '=') | join(',') }}{% endmacro -%}
{%- if tools -%}
{%- call boxed("functions", mark="=") -%}
namespace functions {
{%- for tool in tools %}
// {{ tool.function.description }}
type {{ tool.function.name }} = (_: {{ render_type(tool.function.parameters) }}) => any;
{%- endfor %}
}
{%- endcall -%}
{%- endif -%}
{{ counted(1, 2, b=3, a='x') }}
{% for message in messages %}
{% set body %}
{{ message.role | default('nobody') }}: {{ message.content }}
{% endset %}
{{- body | trim | replace('\\n', ' / ') }}
{% else %}
Nothing was said.
{% endfor %}
{% call(x, y='z') boxed('args') %}{{ x }}{{ y }}{% endcall %}
""",
    # Content in parts, loop controls, filters over lists, generation blocks.
    "parts": """{% generation %}{% set hidden = 1 %}{% endgeneration %}{{ hidden is defined }}
{%- set system = messages | selectattr('role', 'defined') | selectattr('role', 'equalto', 'system') | map(attribute='content') | list %}
{{ system | join('; ') }}
{%- for message in messages if message.role is defined and message.role != 'system' %}
{{ loop.index }}/{{ loop.length }}{{ loop.cycle(' odd', ' even') }} {{ message.role }}{{ ' first' if loop.first }}{{ ' last' if loop.last }}
{%- if loop.changed(message.role) %} new{% endif %}
{%- if loop.previtem is defined %} after {{ loop.previtem.role }}{% endif %}
{%- if loop.nextitem is defined %} before {{ loop.nextitem.role }}{% endif %}:
{%- if message.content is string %}
{{ message.content }}
{%- elif message.content is none or message.content is undefined %}
(nothing)
{%- else %}
    {%- for part in message.content %}
        {%- if part.type == 'image' %}{% continue %}{% endif %}
{{ part['text'] }}
        {%- if 'what' in part.text %}{% break %}{% endif %}
    {%- endfor %}
{%- endif %}
{%- else %}
no turns
{%- endfor %}
{% filter upper %}{{ bos_token }} done{% endfilter %}
{% raw %}{{ not this }} {% nor this %}{% endraw %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{% print messages | length, 'x' %}
""",
}

EXPRESSIONS = [
    # Numbers and operators.
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 1 / 4 }} {{ 7 / 7 }}",
    "{{ 1.0 }} {{ 1e16 }} {{ 1.5e-7 }} {{ 100000000000000.0 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 0x1f }} {{ 0b11 }} {{ 0o17 }}",
    "{{ -7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ +3 }} {{ -true }} {{ true + 1 }} {{ -2 ** 2 }}",
    "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ none == none }} {{ [1, 2] < [1, 3] }}",
    "{{ 'a' 'b' ~ 1 ~ none ~ true ~ 1.5 }} {{ 'ab' * 3 }} {{ [1] * 2 + [3] }} {{ (1, 2) + (3,) }}",
    "{{ 1 and 0 }} {{ 0 or 'x' }} {{ '' or none }} {{ not '' }} {{ not not [] }} {{ none or missing or 3 }}",
    "{{ 2 in [1, 2] }} {{ 'b' not in 'abc' }} {{ 'k' in {'k': 1} }} {{ 'x' in missing }} {{ 1 in (1, 2) }}",
    "{{ 'yes' if 1 else 'no' }}{{ 'never' if false }}{{ 1 if 0 else 2 if 0 else 3 }}",
    "{{ 'abc'[0] }}{{ 'abc'[-1] }}{{ 'héllo'[1:3] }}{{ 'abcdef'[::2] }}{{ 'abcdef'[::-1] }}{{ 'abcdef'[4:1:-2] }}{{ 'abc'[5:] }}",
    "{{ [1,2,3][1:] }} {{ [1,2,3][:-1] }} {{ [1,2,3][::-1] }} {{ (1,2,3)[1:2] }} {{ [1,2,3][-9:9] }} {{ [1,2][5] is defined }}",
    "{{ messages[-1].role }} {{ messages.0.role }} {{ messages[0]['role'] }} {{ messages[9] }} {{ messages[0].nothing }}",
    # How values print.
    "{{ [1, 'a', none, true, 1.5, 'it\\'s', \"q\\\"\", 'both\\'\"'] }} {{ {'a': [1, (2,)], 3: none} }} {{ () }} {{ (1,) }}",
    "{{ ['\\n\\t\\\\ \\x00\\x7f é 日 \\u200b \\u00a0 \\U0001F600'] }} {{ {}.keys() }} {{ {'a': 1}.items() }} {{ {'a': 1}.values() }}",
    "{{ none }} {{ true }} {{ missing }} {{ [missing] }} {{ 'a\\'b' }} {{ \"\\u00e9\\x41\\101\\q\" }}",
    # Strings.
    "[{{ '  x y '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcab'.lstrip('ab') }}|{{ 'ab\\n'.rstrip() }}|{{ ' a '|trim }}|{{ 'xax'|trim('x') }}]",
    "{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(None, 1) }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ''.split() }} {{ ''.split(',') }}",
    "{{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }} {{ 'kv'.partition('=') }} {{ ' a b  c '.rsplit(none, 1) }}",
    "{{ 'straße ﬁ ΣΑΣ Ǆ'.upper() }} {{ 'ΑΣ ΣΑΣ. İI'.lower() }} {{ 'hELLO wORLD'.capitalize() }} {{ \"they're bill's x-ray (ab)\".title() }}",
    "{{ \"they're bill's x-ray (ab) [cd\" | title }} {{ 'hELLO' | capitalize }} {{ 'ß' | upper }} {{ 'ABC' | lower }} {{ 'éa'|title }}",
    "{{ 'aXbX'.replace('X', '--') }} {{ 'aXbX'.replace('X', '', 1) }} {{ 'ab'.replace('', '-') }} {{ 'aXbX'|replace('X', 1) }} {{ 'aaa'|replace('a','b',2) }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }} {{ 'abcabc'.find('c') }} {{ 'é日c'.rfind('c') }} {{ 'aXa'.count('a') }} {{ 'x'.find('y') }}",
    "{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('bc') }} {{ '-'.join(['a', 'b']) }} {{ '42'.zfill(5) }} {{ '-4'.zfill(4) }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ''.isalpha() }} {{ ' '.isspace() }} {{ 'aB'.islower() }} {{ 'AB1'.isupper() }}",
    "{{ '%s is %d years, %.2f%% %05d|%-4s|%4s|%x' % ('Al', 3.9, 1.005, 42, 'l', 'r', 255) }} {{ '%s' % [1] }} {{ '%(a)s' % {'a': 1} }} {{ '%r' % 'x' }}",
    "{{ '{} {1}'.format(1) if false else '{0}-{1}-{0}'.format(1, 'b') }} {{ '{a} {{}} {:>4}|{:<3}|{:^5}|{:.2f}|{:03d}'.format('x', 'y', 'z', 1.239, 7, a=1) }}",
    "{{ '%s-%s' | format('a', 2) }} {{ 'x' | string }} {{ 5 | string + '!' }} {{ 'a' ~ ('b' | safe) }}",
    "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(width='> ', blank=true) }}|{{ '' | indent }}",
    # Lists and dicts.
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1, 3, 2] | sort(reverse=true) }}",
    "{{ [{'a': 2, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'a'}] | sort(attribute='a,b') | map(attribute='b') | list }}",
    "{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }} {{ {'b': 1, 'A': 2} | dictsort(true) }}",
    "{{ ['a', 'B', 'b', 'A', 1, 1.0] | unique | list }} {{ [1, 2, 3] | sum }} {{ [{'n': 1}, {'n': 2}] | sum(attribute='n', start=10) }}",
    "{{ [3, 1, 2] | min }} {{ ['a', 'B'] | max }} {{ [] | min }} {{ [1, 2, 3] | reverse | list }} {{ 'añb' | reverse }} {{ [1,2] | first }} {{ [1,2] | last }} {{ [] | first }}",
    "{{ [1, 2, 3, 4] | select('even') | list }} {{ [1, 2, 3] | reject('odd') | list }} {{ [0, 1, ''] | select | list }} {{ [1, 5, 9] | select('gt', 4) | list }} {{ [1,2]|select('in', [2])|list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'in', ['user', 'system']) | map(attribute='content') | first }} {{ messages | selectattr('nope') | list }}",
    "{{ ['a', 'b'] | map('upper') | join('+') }} {{ [{'x': {'y': 1}}, {}] | map(attribute='x', default='none') | list }} {{ [{'x': {'y': 1}}] | map(attribute='x.y') | list }} {{ ['1', '2'] | map('int') | sum }}",
    "{{ [1, 2] | join(', ') }} {{ [{'a': 1}, {'a': 2}] | join('/', attribute='a') }} {{ 'abc' | join('.') }} {{ missing | join }}",
    "{{ 'abc' | list }} {{ {'a': 1} | list }} {{ '日本' | length }} {{ [1] | count }} {{ {} | length }} {{ missing | length }} {{ range(3) | list }} {{ range(5, 1, -2) | list }} {{ range(3)[1] }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ {'items': 5}['items'] }} {{ {'a': 1}.a }} {{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}{% for c in 'hé' %}<{{ c }}>{% endfor %}{% for x in missing %}never{% endfor %}",
    "{% for k, v in {'a': 1} | items %}{{ k }}{{ v }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% set x, y = 1, 2 %}{{ x }}{{ y }}",
    # Conversions.
    "{{ '42' | int }} {{ ' 4_2 ' | int }} {{ '42.9' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ none | int }} {{ 3.9 | int }} {{ -3.9 | int }} {{ 'ff' | int(0, 16) }} {{ '0x1f' | int(0, 16) }} {{ true | int }} {{ '1e3'|int }}",
    "{{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2) }} {{ 3 | float }} {{ 'inf' | float }} {{ '1e5' | float }} {{ -3 | abs }} {{ -2.5 | abs }}",
    "{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(1, 'ceil') }} {{ 7 | round }} {{ 1.2 | round | int }}",
    "{{ missing | default('d') }} {{ none | default('d') }} {{ '' | default('d', true) }} {{ 'v' | d('x') }} {{ missing | default }}",
    # JSON.
    "{{ {'a': [1, 2.0, none, true, 'é\"\\n\\x01/<>&\\''], 'b': {}, 'c': []} | tojson }}",
    "{{ {'b': [1, {'x': []}], 'a': {}} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }} {{ 'é😀\\x7f' | tojson(ensure_ascii=true) }}",
    "{{ {1: 'a', none: 'b', true: 'c', 1.5: 'd'} | tojson }} {{ (1, 2) | tojson }} {{ [] | tojson(indent=2) }} {{ [[1]] | tojson(indent='--') }} {{ 1e22 | tojson }} {{ 'inf' | float | tojson }}",
    # Tests.
    "{{ x is defined }} {{ x is undefined }} {{ none is none }} {{ 'a' is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ none is iterable }} {{ x is iterable }}",
    "{{ [] is sequence }} {{ 'a' is sequence }} {{ {} is sequence }} {{ {}.keys() is sequence }} {{ 1 is number }} {{ true is number }} {{ true is integer }} {{ 1.5 is float }} {{ true is boolean }} {{ 1 is true }} {{ false is false }}",
    "{{ 3 is odd }} {{ 3 is even }} {{ 6 is divisibleby 3 }} {{ 1 is equalto 1 }} {{ 1 is eq(2) }} {{ 1 is ne 2 }} {{ 1 is in [1] }} {{ 2 is not in [1] }} {{ 1 is not none }} {{ 'ab' is lower }} {{ 'AB' is upper }} {{ range is callable }} {{ none is sameas none }}",
    "{{ 'tojson' is filter }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ not 1 is none }} {{ 1 is number and 2 is number }} {{ x is not defined or y }}",
    # Generators are walked once and are always true.
    "{% set g = [1, 2] | map('string') %}{{ 'yes' if g else 'no' }}{{ g | list }}{{ g | list }}{% if [] | selectattr('a') %}true{% endif %}",
    "{% set g = [1, 2] | select %}{{ g | first }}{{ g | list }}",
    # Scopes.
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i + 10 %}{{ x }};{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, l=[]) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.n }}{{ ns.l }}{{ ns.nope is defined }}",
    "{% if true %}{% set y = 5 %}{% endif %}{{ y }}{% set z %}a{{ y }}b{% endset %}{{ z }}{% set z | upper %}q{% endset %}{{ z }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}{% set g = f %}{{ g(2) }}",
    "{% set v = 'global' %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 'later' %}{{ m() }}{% for v in ['loop'] %}{{ m() }}{% endfor %}",
    "{% macro m(x) %}{{ x }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }} {{ m(*[7, 8], **{'z': 9}) }}",
    "{% macro outer() %}({{ caller('a', k='b') }}){% endmacro %}{% call(p, k) outer() %}{{ p }}{{ k }}{% endcall %}",
    "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% elif i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}{% for i in [1] %}{% break %}{% else %}else{% endfor %}{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.last }} {% endfor %}",
    "{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.index0 }}{{ loop.depth }}{% endfor %}{{ loop.index0 }} {% endfor %}{{ loop is defined }}",
    "{% set ns = namespace(stop=false) %}{% for i in [1, 2, 3] if not ns.stop %}{{ i }}{% if i == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
    # White space.
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a  {%- if true -%}  b  {%- endif -%}  c", "  {%+ if true %} x{% endif +%}\n y",
    "a {{- ' b ' -}} c\n{# note #}\nd\n  {#- cut -#}  \n e{# x #} f\n", "{{ 'x' }}\n\n", "\n\n{{ 'x' }}\r\n\ry\r",
    "  {% set a = 1 %}  \n\t{% set b = 2 %}\n  {{ a }}  {% if b %}  z{% endif %}  ", "{% raw %}  {{ x }} {%- y %}\n{% endraw %}\n  {%- raw -%}  q  {%- endraw %} r",
    "x{% set a %}\n  in\n{% endset %}[{{ a }}]", "{%- for i in [1, 2] -%}\n {{ i }} \n{%- endfor %}\n\n", "{{ '{{' }} {{ '%}' }} {% set s = '%}' %}{{ s }}", "{{ {'a': {'b': 1}}.a.b }}{{ {'x': {}} }}", "{ {{ 1 }} } {%% {",
    # Dates.
    "{{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %%') }} {{ strftime_now('%d %b %y %I %p %f%z') }}",
    # What must fail.
    "{{ raise_exception('no') }}", "{{ missing.a }}", "{{ missing + 1 }}", "{{ missing() }}", "{{ none + 'a' }}", "{{ 'a' + 1 }}", "{{ 1 / 0 }}", "{{ [1] | map('nope') | list }}",
    "{{ 'a' | nope }}", "{{ 1 is nope }}", "{{ [].append(1) }}", "{{ {}.update({}) }}", "{{ messages.append(1) }}", "{{ ''.__class__.__mro__ }}", "{{ namespace(_x=1) }}",
    "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{{ 1 < 'a' }}", "{{ [1, 'a'] | sort }}", "{{ missing | tojson }}", "{{ [1] | map('string') | length }}", "{{ [1] | select | last }}",
    "{% if %}{% endif %}", "{% endif %}", "{% for x in [1] %}", "{{ 1 + }}", "{{ (1 }}", "{{ 'a }}", "{{ 1", "{% nope %}", "{# open", "{% raw %}", "{{ a b }}", "{% set x.y = 1 %}", "{% set 1 = 2 %}", "{% break %}", "{{ f(a=1, 2) }}", "{% include 'x' %}",
    "{{ range(200000) | list }}", "{% set a, b = [1] %}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", "{{ 'abc'.split('') }}", "{{ [1].index(9) }}", "{{ missing | int }}", "{{ {[]: 1} }}", "{{ 5() }}", "{{ loop.index }}", "{{ missing['a'] }}", "{{ missing[0:1] }}", "{{ 1[0].x }}",
]

from engine_bench import *


def test_x(tmp_path, monkeypatch):
    b = Bench.made(tmp_path, monkeypatch)
    b.write("a.txt", "hello\n")
    p = b.experiment(
        "x",
        {
            "a": {"uses": "source", "path": "a.txt"},
            "q": {"uses": "asker"},
            "f": {"uses": "far", "from": "q"},
            "j": {"uses": "join", "from": {"left": "a", "right": "f"}},
            "t": {"uses": "trim", "from": "j", "keep": 3},
        },
    )
    print(states(b.plan(p)))
    m = b.run(p)
    print(statuses(m), {k: (v.message, v.seconds) for k, v in m.steps.items()})
    print(states(b.plan(p)))
    r = b.call("run", p)
    print(r.stdout, r.stderr)
    p.write_text(p.read_text().replace("keep: 3", "keep: 4"))
    r = b.call("plan", p)
    print(r.stdout, r.stderr)
    r = b.call("run", p)
    print(r.stdout, r.stderr)

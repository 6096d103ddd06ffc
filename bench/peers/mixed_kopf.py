"""350 of the mixed rules with kopf: a handler each, found by label, and an index of who uses which ConfigMap. Arguments: kubeconfig, objects, events."""
import os
import re
import sys

os.environ["KUBECONFIG"] = sys.argv[1]
objects, events = int(sys.argv[2]), int(sys.argv[3])

import kopf  # noqa: E402

TEAMS = 50
seen = 0
found = 0


def tell(holds):
    global found
    found += bool(holds)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    settings.posting.enabled = False
    settings.scanning.disabled = True


@kopf.index("", "v1", "pods")
async def users(namespace, name, spec, **_):
    volumes = [v["configMap"]["name"] for v in spec.get("volumes", []) if "configMap" in v]
    return {(namespace, volume): name for volume in volumes}


@kopf.index("", "v1", "configmaps")
async def squads(namespace, name, meta, **_):
    return {(namespace, name): meta.labels.get("squad")}


def restart_policy(n):
    @kopf.on.event("", "v1", "pods", id=f"r{n}", labels={"squad": f"t{n % TEAMS}"})
    async def handler(spec, **_):
        tell(spec.get("restartPolicy") == f"never-{n}")


def mode(n):
    @kopf.on.event("", "v1", "configmaps", id=f"r{n}", labels={"squad": f"t{n % TEAMS}"})
    async def handler(body, **_):
        tell(body.get("data", {}).get("mode") == f"never-{n}")


def image(n):
    pattern = re.compile(f":never-{n}$")

    @kopf.on.event("", "v1", "pods", id=f"r{n}")
    async def handler(spec, **_):
        tell(any(pattern.search(c.get("image", "")) for c in spec.get("containers", [])))


def phase(n):
    @kopf.on.event("", "v1", "pods", id=f"r{n}")
    async def handler(status, **_):
        tell(status.get("phase") == f"never{n}")


def join(n):
    @kopf.on.event("", "v1", "configmaps", id=f"r{n}", labels={"squad": f"t{n % TEAMS}"})
    async def handler(namespace, name, users: kopf.Index, **_):
        tell(len(users.get((namespace, name), [])) > 100 + n)


MAKERS = {0: restart_policy, 1: restart_policy, 2: mode, 3: mode, 4: image, 6: phase, 8: join}
for number in range(500):
    if number % 10 in MAKERS:
        MAKERS[number % 10](number)

JOINS = {}
for number in range(8, 500, 10):
    JOINS.setdefault(f"t{number % TEAMS}", []).append(number)


# A Pod that changes concerns the rules about the ConfigMaps that it uses: kopf leaves that to us.
@kopf.on.event("", "v1", "pods", id="joins")
async def joins(namespace, spec, users: kopf.Index, squads: kopf.Index, **_):
    for volume in spec.get("volumes", []):
        name = volume.get("configMap", {}).get("name")
        for squad in squads.get((namespace, name), []):
            for n in JOINS.get(squad, []):
                tell(len(users.get((namespace, name), [])) > 100 + n)


async def count(**_):
    global seen
    seen += 1
    if seen == objects:
        print("rest", flush=True)
    if seen == objects + events:
        print(f"done {found}", flush=True)


kopf.on.event("", "v1", "pods", id="count")(count)
kopf.on.event("", "v1", "configmaps", id="count")(count)
kopf.configure(verbose=False, quiet=True)
kopf.run(standalone=True, clusterwide=True)

"""The fire hose for kopf: watches Pods, hands each event to a handler, remembers the objects as kopf does. Arguments: kubeconfig, events."""
import os
import sys

os.environ["KUBECONFIG"] = sys.argv[1]
events = int(sys.argv[2])

import kopf  # noqa: E402

seen = 0


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    settings.posting.enabled = False
    settings.scanning.disabled = True


# One object is looked at again only after this long: what comes in between is merged by kopf, and would not be seen by the handler.
@kopf.on.event("", "v1", "pods")
async def event(body, **_):
    global seen
    seen += 1
    if seen == events:
        print(f"done {min(events, 10_000)}", flush=True)


kopf.configure(verbose=False, quiet=True)
kopf.run(standalone=True, clusterwide=True)

"""Gives every ConfigMap a label, with kopf. Argument: the label."""
import sys

import kopf

label = sys.argv[1]


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    settings.posting.enabled = False
    settings.scanning.disabled = True


@kopf.on.event("", "v1", "configmaps")
async def event(type, meta, patch, **_):
    if type != "DELETED" and label not in meta.labels:
        patch.metadata.labels[label] = "yes"


kopf.configure(verbose=False, quiet=True)
kopf.run(standalone=True, clusterwide=True)

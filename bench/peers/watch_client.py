"""The fire hose for the kubernetes client: watches Pods and keeps the last state of each. Arguments: kubeconfig, events."""
import sys
import time

from kubernetes import client, config, watch

config.load_kube_config(sys.argv[1])
events = int(sys.argv[2])
pods = {}
for number, event in enumerate(watch.Watch().stream(client.CoreV1Api().list_pod_for_all_namespaces), start=1):
    pod = event["object"]
    pods[pod.metadata.uid] = pod
    if number == events:
        print(f"done {len(pods)}", flush=True)
        # Stays, so that its memory can be read.
        time.sleep(600)

"""Flower's configuration, run by Flower itself; FLOWER_* in the environment says the rest."""

import os
from hashlib import blake2b

from tornado.ioloop import PeriodicCallback

from workers.commands.usecases import commands
from workers.dashboard import doors
from workers.foundation import heartbeat, logs
from workers.foundation.settings import SettingInvalid

_login = os.environ.get("FLOWER_BASIC_AUTH", "")
if ":" not in _login:
    raise SettingInvalid(
        variable="FLOWER_BASIC_AUTH", value="", allowed="set it to user:password, or nobody could be kept out"
    )

address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
port = int(os.environ.get("FLOWER_PORT", "5555"))
basic_auth = _login.split(",")
# Stable over restarts, so that nobody is thrown out by one.
cookie_secret = (
    os.environ.get("FLOWER_COOKIE_SECRET") or blake2b(_login.encode(), person=b"flower-cookie").hexdigest()
)
# 100,000 tasks, the default, cost about 450 MB.
max_tasks = 20_000
persistent = True
db = os.environ.get("FLOWER_DB", "flower.db")
state_save_interval = 60_000
purge_offline_workers = 300
tasks_columns = "name,kwargs,state,received,started,runtime,worker,uuid"
natural_time = False

# Tornado's own form of a line is not ours.
logging = "none"
logs.configure()

doors.close(commands.offered())

PeriodicCallback(heartbeat.touch, heartbeat.EVERY * 1000).start()

-- What Valkey gives to functions. Each library has the shared parts, and needs not all of them.
std = 'lua51'
read_globals = {'redis', 'cjson', 'cmsgpack', 'bit', 'server'}
max_line_length = 110
unused_args = false
ignore = {'211/now_ms', '211/refuse', '211/is_id', '211/bad_id', '211/allowed', '211/heed_emergencies'}

#!/usr/bin/env bash
# PyTorch's warm-start recipe, against a real server: what is typed, what comes back.
# Fails if anything is not as it should be. Everything happens in a temporary folder.
# The binaries are those in build/bin, or in the folder that WARMSTART_BIN names.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh

if [[ -t 1 ]]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
  bold='' dim='' plain=''
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/warmstart-demo-XXXXXX")
server=''

clean_up() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT

fail() {
  printf '\ndemo: %s\nThe server said:\n' "$*" >&2
  cat "$folder/server.log" >&2
  exit 1
}

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }

# Runs a command, and keeps what it prints in the file `output`. For a person it
# runs on a terminal of its own, so that it shows its colours all the same.
run() {
  local status=0
  if [[ -t 1 ]]; then
    script --quiet --return --command "$1" typescript || status=$?
    sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\r//g' typescript >output
  else
    bash -c "$1" >output 2>&1 || status=$?
    cat output
  fi
  return "$status"
}

# try STATUS TEXT COMMAND: types the command, and expects that status and, somewhere
# in what comes back, that text.
try() {
  local expected=$1 text=$2 command=$3 status=0
  printf '$ %s\n' "$command"
  run "$command" || status=$?
  ((expected == 0)) || note "(exit status $status)"
  ((status == expected)) ||
    fail "expected exit status $expected, and it was $status"
  grep -qF -- "$text" output || fail "expected to see: $text"
}

# try_python TEXT: types the lines of standard input to Python.
try_python() {
  printf '$ python\n'
  PYTHONPATH=$WARMSTART_ROOT/tools/demo PYTHONDONTWRITEBYTECODE=1 \
    "$WARMSTART_VENV/bin/python" -m type_python 2>&1 | tee output ||
    fail "Python stopped"
  grep -qF -- "$1" output || fail "expected to see: $1"
}

start_server() {
  printf '$ warmstart-server --listen 127.0.0.1:0 --data-dir data &\n'
  warmstart-server --listen 127.0.0.1:0 --port-file port --data-dir data \
    >server.log 2>&1 &
  server=$!
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$server" 2>/dev/null || fail "the server ended"
    if [[ -s port ]]; then
      export WARMSTART_SERVER=127.0.0.1:$(<port)
      warmstart health >/dev/null 2>&1 && break
    fi
    sleep 0.1
  done
  cat server.log
  printf '$ export WARMSTART_SERVER=%s\n' "$WARMSTART_SERVER"
  try 0 SERVING 'warmstart health'
}

stop_server() {
  local status=0
  printf '$ kill -TERM %s\n' "$server"
  kill -TERM "$server"
  wait "$server" || status=$?
  server=''
  tail -n 1 server.log
  note "(exit status $status)"
  ((status == 0)) || fail "the server's exit status was $status"
}

export PATH=${WARMSTART_BIN:-$WARMSTART_ROOT/build/bin}:$PATH
cd "$folder"

heading "A server, with its store in a folder"
start_server

heading "1. Save a model: a fresh NetA"
try 0 checkpoints/ 'warmstart save --architecture NetA --seed 7 --alias net-a'

heading "2. Warm-start NetB from it"
try 0 '<All keys matched successfully>' \
  'warmstart warm-start NetB --from aliases/net-a --alias net-b'

heading "3. A checkpoint from PyTorch, with keys missing"
try_python "'fc3.bias'" <<'PY'
import torch, recipe
_ = torch.manual_seed(1)
state = recipe.NetA().state_dict()
del state["fc3.weight"], state["fc3.bias"]
torch.save(state, "headless.pt")
recipe.NetB().load_state_dict(torch.load("headless.pt"), strict=False)
PY
note 'What Python says, the server says too; and what is missing, it initializes.'
try 0 checkpoints/ 'warmstart save headless.pt --alias headless'
try 0 "missing_keys=['fc3.weight', 'fc3.bias']" \
  'warmstart warm-start NetB --from aliases/headless --seed 7'

heading "4. Strict: then that is an error, and nothing is stored"
try 3 'Missing key(s) in state_dict: "fc3.weight", "fc3.bias"' \
  'warmstart warm-start NetB --from aliases/headless --strict'

heading "5. A checkpoint with extra keys"
try_python 'fc4.weight' <<'PY'
import torch, recipe
state = recipe.NetA().state_dict()
state["fc4.weight"] = torch.zeros(2, 10)
torch.save(state, "extra.pt")
recipe.NetB().load_state_dict(torch.load("extra.pt"), strict=False)
PY
try 0 checkpoints/ 'warmstart save extra.pt --alias extra'
try 0 "unexpected_keys=['fc4.weight']" \
  'warmstart warm-start NetB --from aliases/extra'

heading "6. The parameters of one layer for a layer of another name"
try_python stem.weight <<'PY'
import torch, recipe
state = recipe.NetA().state_dict()
state = {key.replace("conv1.", "stem."): value for key, value in state.items()}
torch.save(state, "stem.pt")
print(*state)
PY
try 0 checkpoints/ 'warmstart save stem.pt --alias stem'
note 'As it is, they do not match:'
try 0 "missing_keys=['conv1.weight', 'conv1.bias']" \
  'warmstart warm-start NetB --from aliases/stem --dry-run'
note 'The recipe says: simply change the name of the parameter keys.'
try 0 '<All keys matched successfully>' \
  'warmstart warm-start NetB --from aliases/stem --rename stem.weight=conv1.weight --rename stem.bias=conv1.bias'
note 'Or all of them with one rule:'
try 0 '<All keys matched successfully>' \
  "warmstart warm-start NetB --from aliases/stem --rename-regex '^stem\\.=conv1.'"

heading "7. Back to PyTorch"
try 0 net_b.pt 'warmstart download aliases/net-b -o net_b.pt'
try 0 net_b.safetensors \
  'warmstart download aliases/net-b -o net_b.safetensors --format safetensors'
try_python True <<'PY'
import torch, recipe, safetensors.torch
net_b = recipe.NetB()
net_b.load_state_dict(torch.load("net_b.pt", weights_only=True))
net_b.load_state_dict(safetensors.torch.load_file("net_b.safetensors"))
_ = torch.manual_seed(7)
net_a = recipe.NetA()
all(torch.equal(a, b) for a, b in zip(net_a.parameters(), net_b.parameters()))
PY
(($(grep -cF '<All keys matched successfully>' output) == 2)) ||
  fail "expected all keys to match, twice"
note 'The last line: seed 7 on the server is torch.manual_seed(7) here, bit for bit.'

heading "8. What the store holds now"
try 0 checkpoints/ 'warmstart list'

heading "The server stops"
stop_server
printf '\nEverything was as it should be.\n'

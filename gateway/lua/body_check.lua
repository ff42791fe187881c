-- Refuses JSON bodies that the transcoder would let pass: unknown fields (it drops them silently), doubled fields (the last
-- one wins), more than 32 levels of nesting, and bodies that do not call themselves application/json.
-- One pass over the bytes, nothing is decoded. Values are left to the transcoder and the service.
--
-- Stands above this text, generated from the descriptors:
--   MESSAGES  full name → {JSON name → {proto name, full name of the nested message or false, is it a map}}
--   BINDINGS  {verb, path template, full name of the body's message}
--   EN, ZH    the words of the refusals

local byte, find, sub, concat, insert = string.byte, string.find, string.sub, table.concat, table.insert
local MAX_DEPTH = 32

-- Types: {fields = {name → field}} for a message, {values = type or nil} for a map, nil for anything else.
local types = {}
for name in pairs(MESSAGES) do types[name] = {fields = {}} end
for name, fields in pairs(MESSAGES) do
  for json_name, field in pairs(fields) do
    local nested = types[field[2]]
    types[name].fields[json_name] = {name = field[1], type = field[3] and {values = nested} or nested}
  end
end

-- Templates as a tree of path segments; "*" stands for a variable, ":verb" ends a template like /cases/{case_id}:submit.
local function segments(path)
  local found = {}
  local plain, verb = path:match("^(.*)(:[^:/]*)$")
  for segment in (plain or path):gmatch("[^/]+") do insert(found, segment) end
  if verb then insert(found, verb) end
  return found
end

local tree = {}
for _, binding in ipairs(BINDINGS) do
  tree[binding[1]] = tree[binding[1]] or {}
  local node = tree[binding[1]]
  for _, segment in ipairs(segments(binding[2])) do
    local key = segment:sub(1, 1) == "{" and "*" or segment
    node[key] = node[key] or {}
    node = node[key]
  end
  node.message = types[binding[3]]
end

local function message_of(verb, path)
  local node = tree[verb]
  if not node then return nil end
  for _, segment in ipairs(segments(path:match("^[^?]*"))) do
    node = node[segment] or (byte(segment) ~= 58 and node["*"])
    if not node then return nil end
  end
  return node.message
end

-- The first byte from `i` on that is no white space, and where it stands.
local function next_byte(text, i)
  local c = byte(text, i)
  while c == 32 or c == 10 or c == 13 or c == 9 do
    i = i + 1
    c = byte(text, i)
  end
  return c, i
end

-- Where the string that opens at `i` closes; nil if it does not.
local function string_end(text, i)
  while true do
    i = find(text, '"', i + 1, true)
    if not i then return nil end
    local slashes = 0
    while byte(text, i - 1 - slashes) == 92 do slashes = slashes + 1 end
    if slashes % 2 == 0 then return i end
  end
end

-- What the caller is told about where it went wrong, for example "case.applicant.nmae" or "entries[2].field".
local function place(depth, names, counts)
  local parts = {}
  for level = 1, depth do
    if counts[level] then
      insert(parts, "[" .. counts[level] .. "]")
    elseif names[level] then
      insert(parts, (#parts > 0 and "." or "") .. names[level])
    end
  end
  return (sub(concat(parts), 1, 200):gsub("[^%w_.%[%]@-]", "?"))
end

-- Returns nil for a good body, else the rule it breaks and where.
local function check(text, type)
  local depth = 0
  local kinds = {} -- per level: the type of the object, or of the array's elements
  local seen = {} -- per level: the names that stood in the object
  local names = {} -- per level: the name last read in the object
  local counts = {} -- per level: the index in the array; false for an object
  local c, i = next_byte(text, 1)
  local close, name, field, last

  ::value::
  if c == 34 then -- "
    i = string_end(text, i)
    if not i then return "json", place(depth, names, counts) end
  elseif c == 123 or c == 91 then -- { [
    depth = depth + 1
    if depth > MAX_DEPTH then return "max_depth", place(depth - 1, names, counts) end
    kinds[depth] = type or false
    if c == 123 then
      counts[depth], names[depth], seen[depth] = false, false, {}
      c, i = next_byte(text, i + 1)
      if c ~= 125 then goto key end -- }
    else
      counts[depth] = 0
      c, i = next_byte(text, i + 1)
      if c ~= 93 then goto value end -- ]
    end
    depth = depth - 1
  else
    -- A number, true, false or null: up to what ends it.
    last = find(text, "[%s,%]}]", i)
    if not find(text, "^[-0-9tfn]", i) then return "json", place(depth, names, counts) end
    i = (last or #text + 1) - 1
  end

  ::after::
  c, i = next_byte(text, i + 1)
  if depth == 0 then
    if c then return "json", "" end
    return nil
  end
  if c == 44 then -- ,
    c, i = next_byte(text, i + 1)
    if not counts[depth] then goto key end
    counts[depth] = counts[depth] + 1
    type = kinds[depth] or nil
    goto value
  end
  if c ~= (counts[depth] and 93 or 125) then return "json", place(depth, names, counts) end
  depth = depth - 1
  goto after

  ::key::
  close = c == 34 and string_end(text, i)
  if not close then return "json", place(depth, names, counts) end
  name = sub(text, i + 1, close - 1)
  names[depth] = name
  type = kinds[depth]
  if type and type.fields then
    field = type.fields[name]
    if not field then return "unknown_field", place(depth, names, counts) end
    name, type = field.name, field.type
    names[depth] = name
  else
    type = type and type.values or nil
  end
  if seen[depth][name] then return "duplicate_field", place(depth, names, counts) end
  seen[depth][name] = true
  c, i = next_byte(text, close + 1)
  if c ~= 58 then return "json", place(depth, names, counts) end -- :
  c, i = next_byte(text, i + 1)
  goto value
end

-- English where the caller names it before Chinese, as in replies.py.
local function words(headers)
  for language in (headers:get("accept-language") or ""):lower():gmatch("[^,%s]+") do
    if language:sub(1, 2) == "en" then return EN end
    if language:sub(1, 2) == "zh" then return ZH end
  end
  return ZH
end

local function refuse(handle, status, body)
  handle:respond({[":status"] = status, ["content-type"] = "application/json"}, body)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local verb = headers:get(":method")
  if not tree[verb] then return end
  local content_type = headers:get("content-type") or ""
  if content_type:sub(1, 16) == "application/grpc" then return end
  local message = message_of(verb, headers:get(":path"))
  if not message then return end
  local body = handle:body()
  if not body then return end
  if content_type:match("^[^;]*"):lower():gsub("%s", "") ~= "application/json" then
    return refuse(handle, "415", words(headers).media_type)
  end
  local rule, where = check(body:getBytes(0, body:length()), message)
  if rule then
    local texts = words(headers)
    local filled = {field = where, rule = rule, what = texts.words[rule]}
    refuse(handle, "400", (texts.refusal:gsub("@(%l+)@", filled)))
  end
end

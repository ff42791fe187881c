-- Refuses JSON bodies that the transcoder would let pass: unknown fields (it drops them silently), doubled fields (the last
-- one wins), numbers where a text belongs (it converts them), more than 32 levels of nesting, and bodies that do not call
-- themselves application/json. One pass over the bytes; nothing is decoded.
--
-- Stands above this text, generated from the descriptors:
--   NAMESPACE  where the finding is noted for the answer, see replies.py
--   MESSAGES   full name → {JSON name → {proto name, kind or full name of the nested message, "list", "map" or ""}}
--   BINDINGS   {verb, path template, full name of the body's message}

local byte, find, gsub, lower, sub = string.byte, string.find, string.gsub, string.lower, string.sub
local concat, insert = table.concat, table.insert
local MAX_DEPTH = 32

-- Types. `starts` holds the bytes a value may begin with; null is allowed everywhere, values are the transcoder's to check.
-- A message has `fields`, a map has `values`, a list has `items`. What has none of them is free inside. nil: anything.
local function bytes(characters)
  local found = {}
  for i = 1, #characters do found[byte(characters, i)] = true end
  return found
end

local OBJECT, ARRAY = bytes("{n"), bytes("[n")
local LITERAL, ENDS = bytes("-0123456789tfn"), bytes(" \n\r\t,]}")
local types = {
  string = {starts = bytes('"n')},
  number = {starts = bytes('"-0123456789n')}, -- 64 bits are written as text
  bool = {starts = bytes("tfn")},
  enum = {starts = bytes('"-0123456789n')},
  object = {starts = OBJECT},
  array = {starts = ARRAY},
}
for name in pairs(MESSAGES) do types[name] = {starts = OBJECT, fields = {}} end
for name, fields in pairs(MESSAGES) do
  for json_name, field in pairs(fields) do
    local type = types[field[2]]
    if field[3] == "list" then type = {starts = ARRAY, items = type} end
    if field[3] == "map" then type = {starts = OBJECT, values = type} end
    types[name].fields[json_name] = {name = field[1], type = type}
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
  local verb, template, message = binding[1], binding[2], binding[3]
  tree[verb] = tree[verb] or {}
  local node = tree[verb]
  for _, segment in ipairs(segments(template)) do
    local key = sub(segment, 1, 1) == "{" and "*" or segment
    node[key] = node[key] or {}
    node = node[key]
  end
  -- What the path gives must not stand in the body too: the two could differ.
  node[1] = {starts = OBJECT, fields = {}}
  for json_name, field in pairs(types[message].fields) do
    if not find(template, "{" .. field.name .. "}", 1, true) then node[1].fields[json_name] = field end
  end
end

local function message_of(verb, path)
  local node = tree[verb]
  for _, segment in ipairs(segments(path:match("^[^?]*"))) do
    node = node[segment] or (byte(segment) ~= 58 and node["*"])
    if not node then return nil end
  end
  return node[1]
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
  return (gsub(sub(concat(parts), 1, 200), "[^%w_.%[%]@-]", "?"))
end

-- Returns nil for a good body, else the rule it breaks and where.
local function check(text, type)
  local depth = 0
  -- Per level: the type of the object or array, the names that stood in the object, the name last read in it, the index in
  -- the array (false for an object).
  local outer, seen, names, counts = {}, {}, {}, {}
  local c, i = next_byte(text, 1)
  local close, name, field

  ::value::
  if type and not type.starts[c] then return "type", place(depth, names, counts) end
  if c == 34 then -- "
    i = string_end(text, i)
    if not i then return "json", place(depth, names, counts) end
  elseif c == 123 or c == 91 then -- { [
    if depth == MAX_DEPTH then return "max_depth", place(depth, names, counts) end
    depth = depth + 1
    outer[depth], names[depth] = type or false, false
    if c == 123 then
      counts[depth], seen[depth] = false, {}
      c, i = next_byte(text, i + 1)
      if c ~= 125 then goto key end -- }
    else
      counts[depth] = 0
      type = type and type.items
      c, i = next_byte(text, i + 1)
      if c ~= 93 then goto value end -- ]
    end
    depth = depth - 1
  else -- a number, true, false or null: up to what ends it
    if not LITERAL[c] then return "json", place(depth, names, counts) end
    repeat
      i = i + 1
      c = byte(text, i)
    until not c or ENDS[c]
    i = i - 1
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
    type = outer[depth] and outer[depth].items
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
  type = outer[depth]
  if type and type.fields then
    field = type.fields[name]
    if not field then return "unknown_field", place(depth, names, counts) end
    name, type = field.name, field.type
    names[depth] = name
  else
    type = type and type.values
  end
  if seen[depth][name] then return "duplicate_field", place(depth, names, counts) end
  seen[depth][name] = true
  c, i = next_byte(text, close + 1)
  if c ~= 58 then return "json", place(depth, names, counts) end -- :
  c, i = next_byte(text, i + 1)
  goto value
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local verb = headers:get(":method")
  if not tree[verb] then return end
  local content_type = lower(headers:get("content-type") or "")
  if sub(content_type, 1, 16) == "application/grpc" then return end
  local message = message_of(verb, headers:get(":path"))
  if not message then return end
  -- Waits until all of it is there. `headers` must not be used after it.
  local body = handle:body()
  if not body then return end
  if not find(content_type, "^application/json%s*$") and not find(content_type, "^application/json%s*;") then
    return handle:respond({[":status"] = "415"}, "")
  end
  local rule, where = check(body:getBytes(0, body:length()), message)
  if rule then
    local finding = handle:streamInfo():dynamicMetadata()
    finding:set(NAMESPACE, "rule", rule)
    finding:set(NAMESPACE, "field", where)
    handle:respond({[":status"] = "400"}, "")
  end
end

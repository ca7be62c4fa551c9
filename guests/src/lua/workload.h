// The text of workload.lua as bytes.
#pragma once
static const char workload_lua[] = {
#embed "workload.lua"
};

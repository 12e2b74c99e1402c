package redressfleet

const childVariable = "REDRESS_FLEET_CHILD"

func child() {}

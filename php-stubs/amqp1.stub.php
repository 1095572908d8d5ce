<?php

/**
 * The classes of the extension amqp1, for editors and static analysis. Never load
 * this file together with the extension. tests/ compares the two by reflection.
 *
 * Times are in seconds, as int or float. An int, float or bool option also accepts its
 * usual other spellings ("5", 1 for true), like PHP in weak mode; a string option
 * accepts an int. Any other type throws a ConfigException in an array of options, and
 * PHP's own TypeError for a parameter.
 *
 * Every method that blocks runs PHP's signal handlers while it waits. If a handler
 * throws, the method ends at once and the exception is passed on unchanged.
 *
 * php.ini: amqp1.timeout (30; the default of the option "timeout"),
 * amqp1.shutdown_timeout (2; how long the end of the process may wait for the
 * broker; php.ini only), amqp1.config (the path of the default configuration, see Jobs;
 * the environment variable AMQP1_CONFIG takes precedence), amqp1.log (empty; where lines of JSON
 * are logged if there is no logger: "stderr" or a path; php.ini only), amqp1.log_level ("notice": the
 * lowest level that is logged there; not at run time).
 */

require __DIR__ . '/Exceptions.stub.php';
require __DIR__ . '/Interfaces.stub.php';
require __DIR__ . '/Task.stub.php';
require __DIR__ . '/PeekedTask.stub.php';
require __DIR__ . '/Reply.stub.php';
require __DIR__ . '/Consumer.stub.php';
require __DIR__ . '/AmqpQueue.stub.php';
require __DIR__ . '/Jobs.stub.php';
require __DIR__ . '/Observer.stub.php';
require __DIR__ . '/metrics.stub.php';
require __DIR__ . '/testing.stub.php';

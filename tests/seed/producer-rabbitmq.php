<?php
use Amqp1\Jobs;
use Amqp1\AmqpQueue;

$jobs = new Jobs();
$queue = $jobs->create('rabbit-queue'); // Pipeline name from config
$queue->push('SendEmail', ['recipient' => 'user@example.com'], [
    'priority' => 1,
    'headers' => ['routing-type' => 'urgent']
]);

<?php
use Amqp1\Jobs;
use Amqp1\AmqpQueue;

$jobs = new Jobs();
$queue = $jobs->create('azure-queue'); // Pipeline name from config
$queue->push('ProcessOrder', ['orderId' => 12345], [
    'priority' => 5,
    'delay' => 30,
    'headers' => ['tenant-id' => 'company-a']
]);
